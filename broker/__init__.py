"""The classical network: envelopes over MQTT, and the broker programs that carry them."""
