"""MakeHuman's head as a face model, and the parts that go with it."""
