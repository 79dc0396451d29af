"""The shapes of requests and answers, as the OpenAPI document describes them.

Requests are read by these models. Answers are made by `starter.json_objects` and checked against
them: what an answer leaves out stays out.
"""
