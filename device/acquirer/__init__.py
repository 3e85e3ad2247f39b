"""The line to the acquirer: profiles, ISO 8583 messages, MACs, chip data and the framed TCP or TLS link."""
