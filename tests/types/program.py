"""What type checkers say of a user's program. It is not run, but checked by `ci/check`.

Each line that is marked is a mistake, which mypy and pyright have to find: a mark where they find
none is an error, too. All other lines are right.
"""

from __future__ import annotations

import asyncio

from scoop_mpi import MPIPoolExecutor, futures, shared


def area(width: float, height: float) -> float:
    return width * height


def text_of(number: int) -> str:
    return str(number)


def submit_area(width: float) -> futures.Future[float]:
    return futures.submit(area, width, 1.0)


def total(numbers: list[float]) -> float:
    return sum(numbers)


def mistakes() -> None:
    futures.submit(area, "2", 3.0)  # type: ignore
    futures.submit(area, 1.0)  # type: ignore
    futures.submit(area, 1.0, depth=2.0)  # type: ignore
    wrong: int = futures.submit(text_of, 5).result()  # type: ignore
    futures.submit(text_of, 5).result(timeout="5")  # type: ignore
    futures.map(text_of, ["a", "b"])  # type: ignore
    futures.map(area, [1.0, 2.0], ["a"])  # type: ignore
    futures.map(text_of, range(3), buffersize="10")  # type: ignore
    lengths: list[int] = list(futures.map(text_of, range(3)))  # type: ignore
    for number in futures.map_as_completed(text_of, range(3)):
        print(number + 1)  # type: ignore
    futures.wait([1, 2])  # type: ignore
    futures.options(name="x").submit(text_of, 1).result().real  # type: ignore
    futures.submitt(text_of, 1)  # type: ignore
    shared.getConst(name=5)  # type: ignore
    print(wrong, lengths)


async def awaited() -> None:
    first = futures.submit(area, 1.0, 2.0)
    longer: float = await first + 1.0
    both = await asyncio.gather(first, futures.submit(text_of, 1))
    longer += both[0] + len(both[1])
    text: str = await asyncio.wait_for(futures.submit(text_of, 2), timeout=longer)
    text += await first  # type: ignore
    (await first).upper()  # type: ignore


def right() -> None:
    first: futures.Future[float] = futures.submit(area, 1, height=2.5)
    second = futures.submit(area, first, 3.0).result() + 0.5
    third = futures.submit(area, 2.0, first).result() + second
    fourth = futures.submit(total, [first, 1.0]).result() + third
    fifth = futures.submit(submit_area, 2.0).result() + fourth
    print(fifth)
    words: list[str] = list(futures.map(text_of, range(3)))
    words += futures.map(text_of, [1, 2], timeout=5, buffersize=1, chunksize=10)
    words += futures.map_as_completed(text_of, (1, 2), timeout=5)
    areas: list[float] = list(futures.map(area, [1, 2], [first, first]))
    areas += futures.map(submit_area, areas)
    areas += futures.map(total, [[1.0], [first]])
    areas += futures.map(lambda a, b, c: a + b + c, range(3), range(3), areas)
    for future in futures.as_completed([first]):
        areas.append(future.result())
    done, not_done = futures.wait([first], return_when=futures.FIRST_COMPLETED)
    areas += [future.result(timeout=0) for future in done | not_done]
    longest: int = futures.mapReduce(len, max, words)
    longests: list[int] = futures.mapScan(len, max, words)
    named = futures.options(name="areas")
    areas.append(named.submit(area, 1.0, longest + longests[0]).result())
    areas += named.map(area, areas, areas)
    first.add_done_callback(lambda future: print(future.result() + 1.0))
    with MPIPoolExecutor() as executor:
        areas.append(executor.submit(area, 1.0, 2.0).result())
        areas += executor.map(area, areas, areas)
    shared.setConst(areas=areas)
