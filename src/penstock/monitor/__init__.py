"""What a machine and its feeds do, over time: probes, asked by a sampler; records; a plot of them."""
