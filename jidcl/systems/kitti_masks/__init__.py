"""Contrastive ICA from silhouettes in video: KITTI Masks, and a walk with exact truth.

Zimmermann et al. 2021, Table 3; Klindt et al. 2021 (SlowVAE).

Two frames of a video that lie a lag apart are a pair. An encoder is trained on pairs
alone, by InfoNCE with a Laplace or a Normal model or by SlowVAE, and its outputs are
compared with place and size of the silhouette.

What is used:

- sequences and their pairs: `jidcl.data.read_kitti_masks`, `jidcl.data.frame_pairs`;
- the analogue: `jidcl.mixing.scenes.masks`, whose walk has Laplace steps in a box;
- objectives: `jidcl.losses.infonce`, `jidcl.losses.slowvae`;
- networks: `jidcl.encoders.make_cnn`, `jidcl.encoders.make_cnn_decoder`;
- the loss of the true latents: `jidcl.theory.fit_oracle`.

The folder keeps settings, where pairs come from, and how runs are scored.
"""
