"""From a plan to rows: what is missing, who trains it, how far it is."""
