"""When does a score of identifiability mean what it says?

Joshi, Saulus, Brendel, Brouillard, Sridhar, Reizinger 2026, *Who Guards the Guardians?
The Challenges of Evaluating Identifiability of Learned Representations*.

- scores: `jidcl.metrics`; of a pair of arrays, with nulls: `jidcl.metrics.report`;
- laws of chance, of dropped factors, of linear codes: `jidcl.theory.nulls`;
- the taxonomy: `jidcl.theory.validity`.

The folder keeps factors of known laws, codes of known maps, and the experiments.
"""
