"""Makes deploy/grafana/dashboards/: what they show is data, a module for each; Grafana's form of it is grafana.py's."""
