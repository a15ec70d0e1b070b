"""The peer on LangGraph: LangChain's agent with the tool server's tools by its MCP adapters, `astream` in a loop, no tracing."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import peer_loop
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from langchain_openai import ChatOpenAI
from pydantic import SecretStr


async def main(model_url: str, tool_url: str) -> None:
    os.environ["LANGSMITH_TRACING"] = "false"
    model = ChatOpenAI(
        model="stand-in", base_url=model_url, api_key=SecretStr("none"), streaming=True, stream_usage=True
    )
    client = MultiServerMCPClient({"parcels": {"url": tool_url, "transport": "streamable_http"}})
    # One session for all calls; without it the adapters begin one for each.
    async with client.session("parcels") as session:
        tools = await load_mcp_tools(session)
        agent: Any = create_agent(model, tools, system_prompt=peer_loop.INSTRUCTIONS)

        async def talk(history: list[Any], text: str) -> AsyncIterator[str]:
            history.append(HumanMessage(text))
            modes = ["messages", "updates"]
            async for mode, value in agent.astream({"messages": list(history)}, stream_mode=modes):
                if mode == "updates":
                    for update in value.values():
                        history.extend(update["messages"])
                elif isinstance(value[0], AIMessageChunk) and value[0].content:
                    yield str(value[0].content)

        await peer_loop.serve(talk)


if __name__ == "__main__":
    peer_loop.run(main)
