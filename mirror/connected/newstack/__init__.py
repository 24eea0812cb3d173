"""connected.newstack"""
