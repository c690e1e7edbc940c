import threading
import time

import pytest
import torch

from llmreg._utils._reproducibility import ThreadLimit, torch_seed


def test_a_seeded_block_leaves_no_trace():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with torch_seed(5):
        first = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with torch_seed(5):
        assert torch.equal(torch.rand(3), first)


def test_seeded_blocks_wait_for_one_another():
    found = []

    def draw():
        with torch_seed(3):
            first = torch.rand(1)
            time.sleep(0.01)
            found.append((first, torch.rand(1)))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(a.item(), b.item()) for a, b in found}) == 1


def test_thread_limit_ends_with_the_last_block():
    limit, before = ThreadLimit(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with limit(1):
            assert torch.get_num_threads() == 1
            with limit(1):
                pass
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_thread_limit_ends_after_an_error():
    limit, before = ThreadLimit(), torch.get_num_threads()
    with pytest.raises(KeyError), limit(1):
        raise KeyError
    assert torch.get_num_threads() == before
