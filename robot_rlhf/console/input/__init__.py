"""From pads and keys to what the operator means: devices, bindings, controls."""
