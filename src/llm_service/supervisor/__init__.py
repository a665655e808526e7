"""One service in one or several processes: workers behind one socket, and settings that change while it serves."""

from llm_service.supervisor.channel import SupervisorsEnd
from llm_service.supervisor.edition import Edition, Generation, Read, ReloadRefused, first_edition
from llm_service.supervisor.graphs import Build, Graph, HostedGraphs
from llm_service.supervisor.process import Process, start
from llm_service.supervisor.reload import Reload
from llm_service.supervisor.serving import Post, serve_alone, serve_hosted
from llm_service.supervisor.supervise import Companion, Supervisor
from llm_service.supervisor.worker import serve_as_worker

__all__ = [
    "Build",
    "Companion",
    "Edition",
    "Generation",
    "Graph",
    "HostedGraphs",
    "Post",
    "Process",
    "Read",
    "Reload",
    "ReloadRefused",
    "Supervisor",
    "SupervisorsEnd",
    "first_edition",
    "serve_alone",
    "serve_as_worker",
    "serve_hosted",
    "start",
]
