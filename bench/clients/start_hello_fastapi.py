"""A service of one route on FastAPI and uvicorn, which prints a line when it answers."""

import asyncio

import fastapi
import uvicorn

app = fastapi.FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """Answer."""
    return {"hello": "world"}


class Server(uvicorn.Server):
    """Says when it answers."""

    async def startup(self, sockets: object = None) -> None:
        """Listen, and say so."""
        await super().startup()
        print("ready", flush=True)


asyncio.run(Server(uvicorn.Config(app, port=0, log_level="warning")).serve())
