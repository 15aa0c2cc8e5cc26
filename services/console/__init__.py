"""Questions over ClickHouse, and the verbs that ask them."""
