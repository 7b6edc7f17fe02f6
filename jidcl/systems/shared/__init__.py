"""What several systems share: settings, sources of observations, wiring."""
