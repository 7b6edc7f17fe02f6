"""Which structure do exchangeable environments reveal?

Guo, Toth, Schoelkopf, Huszar 2023, *Causal de Finetti*; Reizinger, Guo, Huszar,
Schoelkopf, Brendel 2025, *Identifiable Exchangeable Mechanisms*.

What later systems need as well lives below this folder, and they reach it there:

- environments with parameters of their own: `jidcl.latents.environments`;
- batched tests of independence: `jidcl.metrics.independence`, `kernel_independence`;
- scores matched up to a permutation: `jidcl.metrics.assign`, `mcc`;
- distances of graphs: `jidcl.metrics.graphs`; closed forms of linear Gaussian
  environments: `jidcl.theory.exchangeable`.

The folder keeps what is of these two papers alone: the decision from three p-values
(`pairs`), the search by levels (`graphs`), and how both are scored.
"""
