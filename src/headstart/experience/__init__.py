"""Earlier tasks: what is known of a family of tasks before one of them is met."""
