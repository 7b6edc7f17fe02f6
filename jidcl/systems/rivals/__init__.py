"""What do the objectives of self-supervised learning find on the same pairs?"""
