"""A client nobody here wrote, the official Python SDK, against `ops mcp` of the examples.

mcp_client.py OPS CONFIG PORT: over stdio, with links served at PORT, and over HTTP at the port after it.
Below the folder of CONFIG, staging is staged and objects are stored.
"""

import asyncio
import hashlib
import json
import pathlib
import subprocess
import sys
import time
import urllib.request
from typing import Any, Literal

from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, Request, RequestParams, Result

server, config, port = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
site = config.parent
links = []
texts = []


def stage(name, size):
    """The checksum of a new file."""
    digest, piece = hashlib.sha256(), hashlib.sha256(name.encode()).digest() * 2048
    with open(site / "staging" / name, "wb") as file:
        for _ in range(-(-size // len(piece))):
            file.write(piece)
            digest.update(piece)
    return "sha256:" + digest.hexdigest()


def make_room(name):
    """Removes a large file and what was published of it."""
    (site / "staging" / name).unlink()
    for path in (site / "objects" / "mvp").glob(f"{pathlib.Path(name).stem}-*"):
        path.unlink()


def request(name, checksum, status="pass"):
    """The contract's example."""
    return {
        "final_edit": {"video_url": name, "duration_seconds": 9.7, "checksum": checksum},
        "qc_report": {"status": status},
        "distribution_settings": {
            "storage_target": "media",
            "storage_prefix": "mvp/",
            "url_expiry_hours": 72,
            "metadata": {"title": "Final MVP clip", "concept_id": "concept-1", "tags": ["mvp"]},
        },
    }


def written():
    """The objects, and the audit trail."""
    audit = site / "audit.jsonl"
    return sorted(map(str, (site / "objects").rglob("*"))), audit.read_bytes() if audit.exists() else b""


class Caller:
    def __init__(self, client, validators):
        self.client, self.validators = client, validators

    async def call(self, tool, arguments, **more):
        answer = await self.client.call_tool(tool, arguments, **more)
        shown = answer.model_dump(mode="json", by_alias=True)
        for content in shown["content"]:
            if content["type"] == "text":
                texts.append(content["text"])
            if content["type"] == "resource_link":
                links.append(content["uri"])
        if not shown["isError"]:
            self.validators[tool].validate(shown["structuredContent"])
        return shown

    async def good(self, tool, arguments, **more):
        shown = await self.call(tool, arguments, **more)
        assert not shown["isError"], shown
        return shown["structuredContent"]


class Task(Result):
    """A task instead of a result, as SEP-2663 has it; the SDK leaves extensions to its users."""

    result_type: Literal["task"]
    task_id: str
    ttl_ms: int
    poll_interval_ms: int


class TaskState(Result):
    status: str
    status_message: str | None = None
    result: dict[str, Any] | None = None


class TaskParams(RequestParams):
    task_id: str


class TaskRequest(Request[TaskParams, str]):
    name_param = "taskId"


class Tasks(ClientExtension):
    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.states = []

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.finish)]

    async def finish(self, task, context):
        state = await self.end(task, context.session)
        return CallToolResult.model_validate(state.result)

    async def end(self, task, session):
        while (state := await self.ask("tasks/get", task, session, TaskState)).status == "working":
            self.states.append(state.status_message)
            await asyncio.sleep(task.poll_interval_ms / 1000)
        return state

    async def ask(self, method, task, session, answer):
        return await session.send_request(TaskRequest(method=method, params=TaskParams(task_id=task.task_id)), answer)


async def connect(client):
    listed = (await client.list_tools()).tools
    tools = {tool.name: tool.model_dump(mode="json", by_alias=True) for tool in listed}
    assert set(tools) == {
        "publish_final_asset", "get_distribution_record", "list_distribution_records", "get_latest_version",
        "roll_back_to_version", "restore_publication", "retract_publication", "issue_download_link",
    }, list(tools)
    for tool in tools.values():
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            assert schema["type"] == "object"
            Draft202012Validator.check_schema(schema)
    annotations = tools["publish_final_asset"]["annotations"]
    assert not annotations["readOnlyHint"] and annotations["idempotentHint"], annotations
    assert not annotations["destructiveHint"] and annotations["openWorldHint"], annotations
    # What the server says that it takes, it takes; the example is one of them.
    Draft202012Validator(tools["publish_final_asset"]["inputSchema"]).validate(request("x.mp4", "sha256:" + 64 * "0"))
    return Caller(client, {name: Draft202012Validator(tool["outputSchema"]) for name, tool in tools.items()})


async def show(caller, over):
    # A dry run writes nothing.
    name = f"{over}.mp4"
    checksum = stage(name, 3 << 20)
    before = written()
    plan = (await caller.good("publish_final_asset", {**request(name, checksum), "dry_run": True}))["plan"]
    assert plan["action"] == "copy" and plan["size_bytes"] == 3 << 20, plan
    assert written() == before, "a dry run wrote something"
    known = await caller.good("get_distribution_record", {"audit_log_id": plan["audit_log_id"]})
    assert known == {"record": None}, known

    # One publish, its link, and what was published.
    record = (await caller.good("publish_final_asset", request(name, checksum)))["distribution_record"]
    assert (record["audit_log_id"], record["storage_location"]) == (plan["audit_log_id"], plan["storage_location"])
    link = record["public_url"]
    assert link == links[-1], "the link is a resource link too"
    fetched = await asyncio.to_thread(lambda: urllib.request.urlopen(link).read())
    assert "sha256:" + hashlib.sha256(fetched).hexdigest() == checksum, "other bytes were fetched"

    # The same call a hundred times at once: one publication, equal records.
    many = await asyncio.gather(
        *(caller.good("publish_final_asset", request(name, checksum)) for _ in range(100))
    )
    assert all(one["distribution_record"] == record for one in many), "the records differ"
    stem = f"{over}-{checksum[7:19]}"
    assert [path.name for path in (site / "objects" / "mvp").glob(f"{over}-*")] == [f"{stem}.mp4"]

    # What a user interface asks.
    audit_log_id = record["audit_log_id"]
    found = await caller.good("get_distribution_record", {"audit_log_id": audit_log_id})
    assert audit_log_id in json.dumps(found)
    page = await caller.good("list_distribution_records", {"tag": "mvp", "limit": 50})
    assert any(one["audit_log_id"] == audit_log_id for one in page["records"])
    await caller.good("issue_download_link", {"audit_log_id": audit_log_id, "valid_for_secs": 60})
    assert links[-1] != link, "a link of its own"

    # Wrong calls say what to do.
    refused = await caller.call("publish_final_asset", request(name, checksum, "fail"))
    assert refused["isError"] and refused["structuredContent"]["kind"] == "refused", refused
    wrong = request(name, checksum)
    wrong["distribution_settings"]["url_expiry_hours"] = 1000
    wrong = await caller.call("publish_final_asset", wrong)
    assert wrong["isError"] and not wrong["structuredContent"]["retryable"], wrong
    assert "must be 1 to 168 hours" in wrong["structuredContent"]["message"], wrong
    lost = await caller.call("publish_final_asset", request("nowhere.mp4", checksum))
    assert lost["isError"] and lost["structuredContent"]["kind"] == "rejected", lost

    # A long publish tells how far it is.
    name = f"long-{over}.mp4"
    checksum = stage(name, 1 << 30)
    told = []

    async def progress(done, total, message):
        told.append((done, message))

    long = asyncio.create_task(
        caller.good("publish_final_asset", request(name, checksum), progress_callback=progress)
    )
    await long
    assert len(told) >= 2 and told == sorted(told, key=lambda one: one[0]), told
    assert any("transfer" in message for _, message in told), told
    make_room(name)

    # One that is cancelled lets the server go on, and the next finishes it.
    name = f"cancelled-{over}.mp4"
    checksum = stage(name, 1 << 30)
    begun = asyncio.Event()

    async def first(done, total, message):
        begun.set()

    cancelled = asyncio.create_task(
        caller.call("publish_final_asset", request(name, checksum), progress_callback=first)
    )
    await asyncio.wait_for(begun.wait(), 60)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert cancelled.cancelled()
    await caller.good("get_distribution_record", {"audit_log_id": audit_log_id})
    again = await caller.good("publish_final_asset", request(name, checksum))
    assert again["distribution_record"]["size_bytes"] == 1 << 30
    make_room(name)
    print(f"{over}: 4 tools, 2 schemas each; 1 + 100 equal calls, {len(told)} notices of progress, one cancelled")


async def show_tasks(caller, tasks, over):
    # A long publish is a task; cancelled, it ends.
    name, session = f"task-{over}.mp4", caller.client.session
    checksum = stage(name, 2 << 30)
    task = await session.call_tool("publish_final_asset", request(name, checksum), allow_claimed=True)
    assert isinstance(task, Task) and task.ttl_ms == 6 * 60 * 60 * 1000, task
    await tasks.ask("tasks/cancel", task, session, Result)
    ended = await tasks.end(task, session)
    assert ended.status == "cancelled", ended

    # The same call finishes it, as another task, whose result is the call's.
    tasks.states.clear()
    record = (await caller.good("publish_final_asset", request(name, checksum)))["distribution_record"]
    assert record["size_bytes"] == 2 << 30 and record["public_url"] == links[-1]
    assert any("transfer" in state or "prove" in state for state in tasks.states), tasks.states
    # What is there at once is answered at once.
    again = await session.call_tool("publish_final_asset", request(name, checksum))
    assert again.structured_content["distribution_record"] == record
    make_room(name)
    print(f"{over}: one task cancelled, one polled {len(tasks.states)} times until its record was there")


def no_links(where, text):
    for link in links:
        signature = link.rsplit("s=", 1)[1]
        assert link not in text and signature not in text, f"a link is in {where}"


async def main():
    with open(site / "stdio.log", "w") as log:
        command = StdioServerParameters(
            command=server, args=["--config", str(config), "mcp", "stdio", "--links", f"127.0.0.1:{port}"]
        )
        async with Client(stdio_client(command, errlog=log)) as client:
            await show(await connect(client), "stdio")
        tasks = Tasks()
        async with Client(stdio_client(command, errlog=log), extensions=[tasks]) as client:
            await show_tasks(await connect(client), tasks, "stdio")
    with open(site / "http.log", "w") as log:
        listening = subprocess.Popen(
            [server, "--config", str(config), "mcp", "http", f"127.0.0.1:{port}"], stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                if "listening" in (site / "http.log").read_text():
                    break
                time.sleep(0.1)
            async with Client(f"http://127.0.0.1:{port}/mcp") as client:
                await show(await connect(client), "http")
            tasks = Tasks()
            async with Client(f"http://127.0.0.1:{port}/mcp", extensions=[tasks]) as client:
                await show_tasks(await connect(client), tasks, "http")
        finally:
            listening.terminate()
            assert listening.wait(30) == 0, "the server did not end well"
    assert len(links) > 200 and len(texts) > 200
    no_links("a text", "\n".join(texts))
    no_links("a log", (site / "stdio.log").read_text() + (site / "http.log").read_text())
    no_links("the audit trail", (site / "audit.jsonl").read_text())
    print(f"{len(set(links))} links: none in {len(texts)} texts, in a log or in the audit trail")


asyncio.run(main())
