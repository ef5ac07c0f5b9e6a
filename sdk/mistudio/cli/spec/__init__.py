"""Options of `mistudio submit KIND`, made from the contract's own descriptors and comments."""
