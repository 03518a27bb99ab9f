from pipelines.building import receipts


def test_receipts_are_read_in_the_order_of_their_names(tmp_path):
    for name in ("b.json", "a.json"):
        receipts.write(tmp_path, name, name.encode())
    (tmp_path / ".c.json.1f").write_bytes(b"being written")
    (tmp_path / "notes").write_bytes(b"no receipt")
    assert receipts.names(tmp_path) == ["a.json", "b.json"]
    assert receipts.read(tmp_path) == [b"a.json", b"b.json"]


def test_a_second_receipt_of_a_name_replaces_the_first(tmp_path):
    for content in (b"first", b"second"):
        receipts.write(tmp_path, "a.json", content)
    assert receipts.read(tmp_path) == [b"second"]


def test_a_folder_of_this_machine_goes_with_what_it_is_in(tmp_path):
    receipts.write(tmp_path, "a.json", b"{}")
    receipts.remove(tmp_path)
    assert receipts.names(tmp_path) == ["a.json"]
