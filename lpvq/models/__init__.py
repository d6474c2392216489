"""The subject of the course.

Read it in this order:

    quantizer            a codebook: from vectors to codes and back, learned by moving averages
    other_quantizers     other ways to learn one, to compare with; fsq: a codebook that nobody has to learn
    vqvae                the VQ-VAE: images to codes, codes to images
    causal               convolutions that see only what comes before, with mask type A or B
    gated                the gated block, and the two stacks that have no blind spot
    pixelcnn             the gated PixelCNN: likelihood and sampling
    sampling             from logits to a code, and from code to code over a grid
    cached_sampler       the same codes at the cost of one forward pass
    whole_number         the network in whole numbers, with the same probabilities on every machine: exact_sums has
                         the idea, whole_number_conversion makes one from a trained prior, and whole_number_prior
                         and whole_number_sampler use it
    masked               the plain ways, to measure against: masked convolutions, one-hot quantizer

Small helpers: ``checks`` (what is refused), ``code_usage`` (counts, entropy, perplexity), ``saving``, ``pretrained``
(the weights that come with the project), ``cuda_graphs``.
"""
