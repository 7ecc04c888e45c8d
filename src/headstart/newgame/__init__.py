"""The main job: an agent that meets a board game it has never seen."""
