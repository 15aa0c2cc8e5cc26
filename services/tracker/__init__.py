"""From events and registrations to journeys: a pure core (`core`, `linking`, `journeys`, `exceptions`), a thin shell."""
