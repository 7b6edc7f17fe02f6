"""What does a model do with a prompt that its training never saw?

Reizinger, Ujváry, Mészáros, Kerekes, Brendel, Huszár 2024, *Position: Understanding
LLMs Requires More Than Statistical Generalization*: models of equal likelihood behave
differently outside of the training distribution.

- the language, its rules and prompts: `jidcl.latents.grammar`;
- models and decoding: `jidcl.encoders.sequence`, `recurrent`, `transformer`;
- likelihood and its floor: `jidcl.losses.sequence`;
- closed forms: `jidcl.theory.autoregressive`, `in_context`, `rescaling`.

The folder keeps the four ways of training, and how completions are scored.
"""
