"""A deterministic simulated world that tries to lose money: the real core, simulated peers, seeded faults."""
