"""The peer on the OpenAI Agents SDK: `Runner.run_streamed` in a loop, the tool server's list cached, no tracing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import peer_loop
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai import AsyncOpenAI


async def main(model_url: str, tool_url: str) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=model_url, api_key="none")
    async with MCPServerStreamableHttp({"url": tool_url}, cache_tools_list=True) as tools:
        agent = Agent(
            name="assistant",
            instructions=peer_loop.INSTRUCTIONS,
            model=OpenAIChatCompletionsModel("stand-in", openai_client=client),
            model_settings=ModelSettings(include_usage=True),
            mcp_servers=[tools],
        )

        async def talk(history: list[Any], text: str) -> AsyncIterator[str]:
            history.append({"role": "user", "content": text})
            result = Runner.run_streamed(agent, history)
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    yield event.data.delta
            history[:] = result.to_input_list()

        await peer_loop.serve(talk)


if __name__ == "__main__":
    peer_loop.run(main)
