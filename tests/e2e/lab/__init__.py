"""A node, pods and packets for end-to-end tests and the demo; needs root and iproute2."""
