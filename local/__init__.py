"""The laptop home: everything that stands in for AWS, the bank and the card network.

``python -m local up`` starts it and deploys ``template.yaml`` to it; ``python -m local down``
stops all that it started. Nothing here is deployed and the product imports nothing from here.
"""
