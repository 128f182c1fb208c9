def command()->None:
    """x"""
