"""A data directory that is given up: what its service could not bring to the database is brought there by a command."""

from pathlib import Path

from tests.support.postgres import PostgresServer
from tests.support.process import place, run, serving
from tests.support.rest import ask, chat_body

HASH_KEY = "test-hash-key-of-a-volume-0123456789"


async def test_a_volume_may_go_when_its_records_are_home(tmp_path: Path, postgres_server: PostgresServer) -> None:
    where = place(
        tmp_path,
        DATABASE_URL=await postgres_server.new_database(),
        LLM_SERVICE_AUTH__HASH_KEY=HASH_KEY,
        LLM_SERVICE_LEDGER__SHIPPING_GRACE_S="0.2",
        LLM_SERVICE_SANDBOX="on",
    )
    with serving(where) as service:
        postgres_server.kill()
        try:
            answer = await ask(service.address, "POST", "/v1/chat/completions", chat_body("deepseek/deepseek-flash"))
            assert answer.status == 200
            assert service.child.stop() == 0
        finally:
            postgres_server.start()
        service.child.err.all()
        (left,) = (line for line in service.log() if line["event"] == "journal_left_behind")
    assert left["records"] == 1
    shipped = run(where, "usage", "ship", "--json")
    assert (shipped.code, shipped.json()["shipped"]) == (0, 1), shipped.err
    (record,) = run(where, "usage", "report", "--by", "status", "--json").json()["data"]
    assert (record["status"], record["requests"]) == ("ok", 1)
    again = run(where, "usage", "ship")
    assert (again.code, "holds no record that the database lacks" in again.out) == (0, True)
