"""Every call that a client can make, as a pure function from arguments to a `Call`.

The blocking and the asyncio client turn these into methods with the same arguments and documentation. Each takes
`timeout`, the seconds that it may take in all, retries included; None takes the client's.
"""
