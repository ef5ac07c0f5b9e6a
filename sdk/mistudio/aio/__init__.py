"""The asyncio client: the blocking one's surface, awaited."""
