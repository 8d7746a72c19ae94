"""Who may do what: tenants, principals, memberships, roles and permissions."""
