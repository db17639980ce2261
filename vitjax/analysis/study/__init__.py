"""What every analysis stands on: its entry in the catalog, its checks, passes, findings and figures."""
