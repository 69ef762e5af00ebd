"""The audit of lists: items served are items returned, or an error says so, whatever form the answers have."""
