"""An atlas for programs: its tables and pictures, out of a store or an exported folder."""
