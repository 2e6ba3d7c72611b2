"""In order, in time, in memory. Knows neither pixels nor Keras."""
