"""The base of the models of answers."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """The base of the models: members that are not named are refused."""

    # built when they are used: a server without requests for its documentation needs none
    model_config = ConfigDict(extra="forbid", populate_by_name=True, defer_build=True)
