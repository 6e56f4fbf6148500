"""Reports: what stored runs look like to people and to scripts. Nothing here runs anything."""
