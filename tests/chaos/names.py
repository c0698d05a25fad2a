"""What is played: the scenarios by the room they are in. Read without Django, which the rooms themselves need."""

ROOMS = {
    "killed": [
        "worker_killed_before_the_attempt_is_written",
        "worker_killed_before_the_call",
        "worker_killed_after_the_bank_accepted",
        "worker_killed_before_our_commit",
        "worker_stopped_until_its_payout_was_sent_again",
        "worker_asleep_before_it_signs_until_its_payout_was_paid_anew",
    ],
    "servers_gone": [
        "redis_flushed_five_times",
        "redis_killed_and_restarted_five_times",
        "redis_away_for_good_while_people_run_payouts",
        "postgresql_stopped_immediately_in_mid_run",
    ],
    "bank_faults": [
        "bank_times_out",
        "bank_answers_500",
        "bank_answers_garbage",
        "bank_is_asked_and_answers_twice",
        "bank_answers_in_reverse_order",
        "bank_says_not_found_and_then_pays",
        "bank_gets_a_request_when_it_was_sent_again_already",
        "bank_out_of_reach",
    ],
    "doubled": [
        "two_beats",
        "two_sweepers",
        "sweeper_loses_its_lock",
        "same_task_twice",
        "same_run_twice",
    ],
    "people": [
        "account_changed_at_five_moments",
        "refund_against_a_run",
    ],
    "machines": [
        "clock_two_hours_back",
        "clock_two_hours_ahead",
        "clocks_set_back_after_sending",
        "disk_full_while_a_photo_is_written",
        "disk_full_while_a_file_for_the_bank_is_written",
    ],
    "many": [
        "two_hundred",
        "ten_thousand",
    ],
}
NAMES = [name for names in ROOMS.values() for name in names]
# Played once in a round of many, since one play is thousands of payouts; and not in `make test`.
ONCE = {"ten_thousand"}
# After so many seconds a play has failed.
SECONDS = {"ten_thousand": 5400}
