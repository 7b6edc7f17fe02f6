"""Which interventions identify a linear system, and which should come next?

Rajendran, Reizinger, Brendel, Ravikumar 2024, *An Interventional Perspective on
Identifiability in Gaussian LTI Systems with Independent Component Analysis*.

- systems, environments, simulation: `jidcl.latents.dynamics`, `jidcl.latents.kalman`;
- diversity, closed forms, free directions: `jidcl.theory.lti`;
- margins, designs: `jidcl.theory.interventions`;
- exchangeable trajectories: `jidcl.theory.trajectories`.

The folder keeps the estimators and how they are scored.
"""
