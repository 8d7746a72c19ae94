"""The simulated settlement source: what a card processor would report about its charges.

`localstripe` takes card payments but knows no fees, disputes or linked payouts. This process reads
its charges and refunds over HTTP and answers the read side of Stripe's API for them: balance
transactions, payouts with their members, disputes, and the itemised payout report. It speaks
public wire formats only and shares no code with the product, so that a mistake in one is seen by
the other.
"""
