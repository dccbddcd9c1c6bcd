"""An example of plugins of antibody_esm."""
