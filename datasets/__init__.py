"""Images with labels: the record format, synthetic images, alignment of photographs."""
