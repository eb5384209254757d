"""What the parts of a generator are fitted by: autoencoder, denoiser, text encoder."""
