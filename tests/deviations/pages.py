"""Rows: answers where a page of a list is documented. To add one, add a line."""

from typing import Any

from attrs import frozen

MORE, LAST = {"hasNextPage": True}, {"hasNextPage": False}
MISSING = r"\$\.items: required, but missing"
FAILED = "the body of an error"
EMPTY_FIRST = "empty on the first page"
REPEATED = "holds the items of an earlier page"
ENDLESS = "pages in a row are empty"


def page(*numbers: int, **more: Any) -> dict[str, Any]:
    """Return a page of items with these numbers."""
    return {"items": [{"id": f"00000000-0000-0000-0000-{number:012}"} for number in numbers], **more}


@frozen
class Pages:
    """What the server answers page by page, the last for ever; the numbers read, or the problem told, and requests."""

    what: str
    mark: str
    pages: tuple[Any, ...]
    come: tuple[int, ...] | str
    requests: int


R = Pages
PAGES = (
    R("one page", "V", (page(1, totalPages=1, totalCount=1),), (1,), 1),
    R("one page, by the flag", "3P", (page(1, 2, **LAST),), (1, 2), 1),
    R("two pages, by the total", "V", (page(1, totalPages=2), page(2, totalPages=2)), (1, 2), 2),
    R("two pages, by the flag", "3P", (page(1, **MORE), page(2, **LAST)), (1, 2), 2),
    R("two pages, by the token", "V", (page(1, continuationToken="t"), page(2, **LAST)), (1, 2), 2),
    R("two pages, by nothing", "-", (page(1), page(2), page()), (1, 2), 3),
    R("two pages, by the count", "V", (page(1, totalCount=2), page(2, totalCount=2)), (1, 2), 2),
    R("a count below what is read", "INF", (page(1, 2, totalCount=1), page(3, totalCount=1), page()), (1, 2, 3), 3),
    R(
        "a count that is passed, an empty page",
        "INF",
        (page(1, 2, totalCount=1, **MORE), page(totalCount=1, **MORE), page(3, **LAST)),
        (1, 2, 3),
        3,
    ),
    R("no items, null", "V", ({"items": None, "totalCount": 0},), (), 1),
    R("no items, by nothing", "V", ({"items": None},), (), 1),
    R("no items, a list", "V", (page(totalCount=0, totalPages=0, **LAST),), (), 1),
    R("a negative total", "-", (page(1, totalPages=-1, **LAST),), (1,), 1),
    R(
        "null for all that counts",
        "INF",
        (page(1, totalPages=None, totalCount=None, hasNextPage=None), page()),
        (1,),
        2,
    ),
    R("an empty token", "INF", (page(1, totalPages=1, continuationToken=""),), (1,), 1),
    R("a token at the end", "INF", (page(1, continuationToken="t", **LAST),), (1,), 1),
    R("unknown keys", "INF", (page(1, _links={}, totalPages=1),), (1,), 1),
    R("an empty page between", "INF", (page(1, **MORE), page(**MORE), page(3, **LAST)), (1, 3), 3),
    R("null between", "INF", (page(1, **MORE), {"items": None, **MORE}, page(3, **LAST)), (1, 3), 3),
    R("total 1, flag says more", "INF", (page(1, totalPages=1, **MORE), page(2, totalPages=1, **LAST)), (1, 2), 2),
    R("total 0, flag says more", "INF", (page(1, totalPages=0, **MORE), page(2, totalPages=0, **LAST)), (1, 2), 2),
    R("total 1, a token", "INF", (page(1, totalPages=1, continuationToken="t"), page(2, totalPages=2)), (1, 2), 2),
    R("total 0, a token", "INF", (page(1, totalPages=0, continuationToken="t"), page(2, totalPages=0)), (1, 2), 2),
    R("flag says end, total more", "INF", (page(1, totalPages=2, **LAST), page(2, totalPages=2, **LAST)), (1, 2), 2),
    R("flag for ever, all read", "INF", (page(1, totalCount=1, **MORE), page(totalCount=1, **MORE)), (1,), 2),
    R("flag for ever, then nothing", "INF", (page(1, **MORE), page(**MORE)), ENDLESS, 11),
    R("total far away, then nothing", "INF", (page(1, totalPages=10**6), page(totalPages=10**6)), ENDLESS, 11),
    R("token for ever", "INF", (page(1, continuationToken="t"), page(continuationToken="t")), ENDLESS, 11),
    R("flag without anything", "INF", (page(totalPages=0, **MORE),), ENDLESS, 10),
    R("page number ignored, total", "INF", (page(1, totalPages=3),), REPEATED, 2),
    R("page number ignored, flag", "INF", (page(1, **MORE),), REPEATED, 2),
    R("page number ignored, token", "INF", (page(1, continuationToken="t"),), REPEATED, 2),
    R("page number ignored, nothing", "INF", (page(1),), REPEATED, 2),
    R("last page repeated", "INF", (page(1, **MORE), page(2, **MORE)), REPEATED, 3),
    R("begins again", "INF", (page(1, **MORE), page(2, **MORE), page(1, **MORE)), REPEATED, 3),
    R("repeated after an empty one", "INF", (page(1, **MORE), page(**MORE), page(1, **MORE)), REPEATED, 3),
    R("nothing at all", "INF", ({},), MISSING, 1),
    R("another name", "INF", ({"data": [{}]},), MISSING, 1),
    R("Spring's page", "T", ({"content": [{}], "totalElements": 1},), MISSING, 1),
    R("OData's page", "T", ({"value": [{}], "@odata.nextLink": "x"},), MISSING, 1),
    R("PascalCase", "T", ({"Items": [{}], "TotalCount": 1},), MISSING, 1),
    R("snake_case", "T", ({"items_": [{}], "total_count": 1},), MISSING, 1),
    R("wrapped once more", "INF", ({"result": page(1)},), MISSING, 1),
    R("an error with status 200", "INF", ({"statusCode": 500, "type": "E", "description": "D"},), FAILED, 1),
    R("a problem with status 200", "T", ({"title": "T", "status": 500},), FAILED, 1),
    R("a message with status 200", "T", ({"statusCode": 429, "message": "M"},), FAILED, 1),
    R("a total without the key", "INF", ({"totalCount": 3, "totalPages": 1},), MISSING, 1),
    R("a total with null", "INF", ({"items": None, "totalCount": 3},), EMPTY_FIRST, 1),
    R("a total with none", "INF", (page(totalCount=3),), EMPTY_FIRST, 1),
    R("an object for items", "INF", ({"items": {}},), r"\$\.items: expected a list", 1),
    R("text for items", "INF", ({"items": "none"},), r"\$\.items: expected a list", 1),
    R("text", "-", (b'"x"',), "expected an object", 1),
    R("a number", "-", (b"7",), "expected an object", 1),
    R("true", "-", (b"true",), "expected an object", 1),
    R("HTML", "T", (b"<html>",), "no JSON", 1),
    R("half of JSON", "-", (b'{"items": [',), "no JSON", 1),
    R("a second page of another form", "INF", (page(1, totalPages=2), {"data": []}), MISSING, 2),
    R("an error as the second page", "INF", (page(1, **MORE), {"statusCode": 500, "type": "E"}), FAILED, 2),
)
"""Each is served to every operation that answers with pages."""

NO_LISTS: tuple[tuple[str, str, Any], ...] = (
    ("an object for items", "INF", {"items": {}}),
    ("a text for items", "INF", {"items": ""}),
    ("a number for items", "INF", {"items": 0}),
    ("false for items", "INF", {"items": False}),
    ("a part, by the flag", "3P", page(1, **MORE)),
    ("a part, by the total", "V", page(1, totalPages=2)),
    ("a part, by the count", "V", page(1, totalCount=2)),
    ("a part, by the token", "V", page(1, continuationToken="t")),
    ("nothing at all", "INF", {}),
    ("another name", "INF", {"data": []}),
    ("an error", "INF", {"statusCode": 500, "type": "E"}),
    ("a text", "-", "none"),
    ("a number", "-", 0),
    ("false", "-", False),
)
"""What, its mark and its form: each is served where a bare list is documented, and is none."""
