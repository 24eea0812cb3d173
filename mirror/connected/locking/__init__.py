"""connected.locking"""
