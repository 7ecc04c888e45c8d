"""The goal as an input: values that know what they are for."""
