from carbonsink.states import StateChange

__all__ = ["StateChange"]
