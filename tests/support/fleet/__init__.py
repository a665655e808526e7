"""A fleet of services as machines of their own, behind a balancer, on stores that fail: built, loaded, audited."""
