"""Each method of the client, on a real service."""

import pytest
from aiohttp import ClientSession

from canaries import API_KEY
from consignee.client import ApiError, Client, DestinationFields
from consignee.secret import Secret

from .calls import FIELDS, created
from .conftest import Service


async def test_a_destination_is_created_shown_changed_and_deleted(client: Client) -> None:
    made = await created(client)
    assert (made.name, made.type, made.enabled, made.used_by) == ("Mine", "memory", True, 0)
    assert made.settings == {"memory_bucket_name": "bucket", "memory_path_prefix": None}
    assert made.secrets_set == ("memory_secret",)
    assert made.last_test is not None and made.last_test.ok
    assert made.deliveries.state == "ok"
    assert await client.destinations.get(made.id) == made
    changed = await client.destinations.update(made.id, {"name": "Ours", "memory_secret": ""})
    assert (changed.name, changed.secrets_set) == ("Ours", ("memory_secret",))
    await client.destinations.delete(made.id)
    with pytest.raises(ApiError) as raised:
        await client.destinations.get(made.id)
    assert (raised.value.code, raised.value.status, raised.value.passing) == ("not_found", 404, False)


async def test_an_answer_gives_back_what_was_answered(client: Client, service: Service) -> None:
    """Member by member: for programs that want JSON, as the command does."""
    destination = await created(client)
    collection = await client.collections.create("Reports", destination_ids=[destination.id])
    await client.results.upload(collection.id, {"a": b"1"})
    async for _ in client.results.events(collection.id, 1):
        pass
    (delivery,) = [one async for one in client.deliveries.list()]
    answers = {
        f"/destinations/{destination.id}": ("destination", await client.destinations.get(destination.id)),
        f"/collections/{collection.id}": ("collection", await client.collections.get(collection.id)),
        f"/collections/{collection.id}/results/1": ("result", await client.results.get(collection.id, 1)),
        f"/deliveries/{delivery.id}": ("delivery", await client.deliveries.get(delivery.id)),
        "/account": ("account_info", await client.account()),
    }
    async with ClientSession(headers={"X-API-Key": API_KEY}) as session:
        for path, (name, answer) in answers.items():
            async with session.get(service.url + path) as response:
                assert (await response.json())[name] == answer.to_json()


async def test_secrets_may_be_given_as_such(client: Client) -> None:
    assert (await created(client, memory_secret=Secret("memory-secret"))).secrets_set == ("memory_secret",)


async def test_a_failed_connectivity_test_is_raised_with_its_report(client: Client) -> None:
    """Nothing is saved then."""
    with pytest.raises(ApiError) as raised:
        await created(client, memory_bucket_name="none")
    error = raised.value
    assert (error.code, error.status) == ("bucket_not_found", 400)
    assert error.connectivity is not None
    assert [(step.step, step.ok, step.code) for step in error.connectivity.steps] == [
        ("upload", False, "bucket_not_found")
    ]
    assert (await client.destinations.page()).destinations == ()


async def test_wrong_fields_are_raised_all_at_once(client: Client) -> None:
    fields: DestinationFields = {"type": "s3", "name": "", "enabled": True}
    with pytest.raises(ApiError) as raised:
        await client.destinations.create(fields)
    assert raised.value.code == "invalid_request"
    assert {"name", "s3_bucket_name", "s3_access_key_id", "s3_secret_access_key"} <= raised.value.errors.keys()
    assert raised.value.trace_id


async def test_a_list_goes_over_all_pages_and_takes_every_parameter(client: Client) -> None:
    for number in range(5):
        await created(client, name=f"Number {number}", enabled=number != 3)
    listed = client.destinations.list(page_size=2, sort_by="name", sort_direction="descending")
    assert [one.name async for one in listed] == [f"Number {number}" for number in (4, 3, 2, 1, 0)]
    some = client.destinations.list(search_term="number", enabled=True, type="memory", page_size=3)
    assert [one.name async for one in some] == [f"Number {number}" for number in (0, 1, 2, 4)]
    page = await client.destinations.page(2, page_size=2)
    assert (page.pagination.total_count, page.pagination.total_pages, page.usage.used) == (5, 3, 5)
    assert [one.name for one in page.destinations] == ["Number 2", "Number 3"]


async def test_destinations_are_tested_saved_or_not_one_or_all(client: Client, service: Service) -> None:
    good, bad = await created(client), await created(client, name="Bad")
    assert (await client.destinations.test(good.id)).ok
    assert (await client.destinations.test_fields(FIELDS)).ok
    await client.destinations.update(bad.id, {"enabled": False})
    await client.destinations.update(bad.id, {"memory_bucket_name": "gone"})
    with pytest.raises(ApiError) as raised:
        await client.destinations.test(bad.id)
    assert raised.value.connectivity is not None and not raised.value.connectivity.ok
    outcomes = {one.id: one async for one in client.destinations.verify()}
    assert {id_: one.ok for id_, one in outcomes.items()} == {good.id: True, bad.id: False}
    assert outcomes[bad.id].connectivity.steps[0].code == "bucket_not_found"
    assert [one.id async for one in client.destinations.verify([good.id])] == [good.id]
    with pytest.raises(ApiError) as unknown:
        _ = [one async for one in client.destinations.verify(["00000000"])]
    assert unknown.value.status == 404


async def test_a_test_can_be_watched_step_by_step(client: Client) -> None:
    seen: list[str] = []
    assert (await client.destinations.test_fields(FIELDS, under_way=seen.append)).ok
    assert seen == ["upload", "delete"]
    made = await created(client)
    assert (await client.destinations.test(made.id, {"name": "Other"}, under_way=seen.append)).ok
    assert seen == ["upload", "delete"] * 2
    with pytest.raises(ApiError) as raised:
        await client.destinations.test(made.id, {"memory_bucket_name": "none"}, under_way=seen.append)
    error = raised.value
    assert (error.code, error.status, str(error)) == (
        "bucket_not_found",
        400,
        "The connectivity test failed. There is no such bucket.",
    )
    assert error.connectivity is not None and not error.connectivity.ok
    with pytest.raises(ApiError) as wrong:
        await client.destinations.test_fields({**FIELDS, "memory_bucket_name": ""}, under_way=seen.append)
    assert "memory_bucket_name" in wrong.value.errors


async def test_the_policy_is_in_the_vendors_own_form(client: Client) -> None:
    fields = {"s3_access_key_id": "k", "s3_secret_access_key": "s", "s3_bucket_name": "my-bucket"}
    made = await client.destinations.create({"type": "s3", "name": "S3", "enabled": False, **fields})
    policy = await client.destinations.policy(made.id)
    assert policy["Statement"][0]["Resource"] == "arn:aws:s3:::my-bucket/*"
    assert await client.destinations.policy_of({"type": "s3", "s3_bucket_name": "my-bucket"}) == policy


async def test_a_collection_is_created_shown_changed_and_deleted(client: Client) -> None:
    """The secret of its webhook is there once, and never in a representation."""
    made = await client.collections.create("Reports", notification_webhook="https://127.0.0.1:1", manifest=True)
    secret = made.notification_webhook_secret
    assert secret is not None and secret.startswith("whsec_")
    assert secret not in repr(made)
    assert made.to_json()["notification_webhook_secret"] == secret
    again = await client.collections.get(made.id)
    assert (again.manifest, again.notification_webhook_secret) == (True, None)
    assert "notification_webhook_secret" not in again.to_json()
    destination = await created(client)
    changed = await client.collections.update(
        made.id, name="Figures", destination_ids=[destination.id], notification_webhook="", manifest=False
    )
    assert (changed.name, changed.destination_ids, changed.notification_webhook) == ("Figures", (destination.id,), None)
    assert [one.id async for one in client.collections.list()] == [made.id]
    assert (await client.collections.page(2, page_size=1)).collections == ()
    await client.collections.delete(made.id)
    assert (await client.collections.page()).total_count == 0


async def test_the_account_and_the_types_are_told(client: Client) -> None:
    await created(client)
    account = await client.account()
    assert (account.destinations_used, account.destinations_limit, account.collections_used) == (1, 50, 0)
    types = {one.type: one for one in await client.destination_types()}
    assert {"s3", "s3compatible", "gcs", "azure", "oss", "memory"} == types.keys()
    assert {field.name: field.secret for field in types["memory"].fields}["memory_secret"] is True


async def test_whether_the_service_is_well_is_asked_without_a_fuss(client: Client) -> None:
    assert (await client.alive(), await client.ready()) == (True, True)
    async with Client("http://127.0.0.1:9", "any") as nobody:
        assert (await nobody.alive(), await nobody.ready()) == (False, False)


async def test_an_unknown_key_is_refused_and_never_repeated(service: Service) -> None:
    async with Client(service.url, "another-key") as stranger:
        assert "another-key" not in repr(stranger)
        with pytest.raises(ApiError) as raised:
            await stranger.account()
    assert (raised.value.code, raised.value.status) == ("unauthorized", 401)
    assert "another-key" not in str(raised.value)


async def test_a_session_of_others_is_used_and_left_open(service: Service) -> None:
    """And it learns nothing: the key goes with each request."""
    async with ClientSession(headers={"X-Theirs": "1"}) as session:
        client = Client(service.url, API_KEY, session=session)
        assert (await client.account()).destinations_used == 0
        async with client:
            await client.account()
        assert not session.closed
        assert "Authorization" not in session.headers
        await client.account()


async def test_without_a_session_it_says_how_it_is_opened(service: Service) -> None:
    client = Client(service.url, API_KEY)
    with pytest.raises(RuntimeError, match="async with"):
        await client.account()
    async with client:
        await client.account()
    with pytest.raises(RuntimeError, match="async with"):
        await client.account()


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:80", "ftp://host", "http://", "http://ann:pw@host", "http://host/?x=1", "http://ho st", "http://h/#a"],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="must be an http or https URL") as raised:
        Client(url, "key")
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "two words", "ä", "\x00", "a\r\nX: y"])
def test_a_key_that_is_none_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an API key, and nothing else$"):
        Client("http://127.0.0.1:9", key)


@pytest.mark.parametrize("id_", ["", ".", ".."])
async def test_an_id_that_leads_elsewhere_is_refused(client: Client, id_: str) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        await client.destinations.delete(id_)


async def test_an_id_is_one_part_of_a_path_whatever_it_holds(client: Client) -> None:
    for id_ in ("a/b", "a?b", "a#b", "ä%2F", "../keys"):
        with pytest.raises(ApiError) as raised:
            await client.destinations.get(id_)
        assert raised.value.code == "not_found"
